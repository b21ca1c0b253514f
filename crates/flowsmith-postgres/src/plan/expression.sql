-- Raises an error if an expression of a trigger is invalid or has the wrong type. A less thorough check than
-- flowsmith.check_expression, in a transaction that cannot write. Returns no row. `flowsmith check` has verified that the
-- parentheses in the expression are balanced.
begin read only;
set local search_path = pg_catalog, pg_temp;
set local standard_conforming_strings = on;
set local lock_timeout = '2s';
set local statement_timeout = '10s';
select (
{{ expression }}
)::pg_catalog.{{ kind }} from {{ rows }} limit 0;
rollback
