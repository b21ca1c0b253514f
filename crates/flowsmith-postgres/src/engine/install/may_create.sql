-- Whether the role may make schemas in this database, and both names as GRANT writes them.
select
  has_database_privilege(current_database(), 'CREATE') as allowed,
  quote_ident(current_user)                            as role,
  quote_ident(current_database())                      as database
