-- Raises an error if an expression of a trigger is invalid or has the wrong type. A less thorough check than
-- flowsmith.check_expression, in a transaction that cannot write. Returns no row. `flowsmith check` has verified that the
-- parentheses in the expression are balanced.
select (
{{ expression }}
)::pg_catalog.{{ kind }} from {{ rows }} limit 0
