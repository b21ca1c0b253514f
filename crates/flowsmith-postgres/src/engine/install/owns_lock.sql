-- Returns whether this role owns the function that takes the lock of the ledger. A function of another role is not called.
select exists (
  select from pg_catalog.pg_proc p
  where p.pronamespace = pg_catalog.to_regnamespace('flowsmith') and p.proname = 'acquire_lock' and p.pronargs = 0
    and p.proowner = (select r.oid from pg_catalog.pg_roles r where r.rolname = current_user)) as owned
