-- Returns whether this role can create schemas in this database, and the names of both, quoted as GRANT needs them.
select
  has_database_privilege(current_database(), 'CREATE') as allowed,
  quote_ident(current_user)                            as role,
  quote_ident(current_database())                      as database
