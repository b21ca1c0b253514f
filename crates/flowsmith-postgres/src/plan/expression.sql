-- Whether an expression of a trigger is one of the right type here, as flowsmith.trigger_expression_errors asks less lightly. It gives no row, in
-- a transaction that may not write. A check of the file has shown that the expression does not leave its parentheses.
begin read only;
set local search_path = pg_catalog, pg_temp;
set local standard_conforming_strings = on;
set local lock_timeout = '2s';
set local statement_timeout = '10s';
select (
{{ expression }}
)::pg_catalog.{{ kind }} from {{ rows }} limit 0;
rollback
