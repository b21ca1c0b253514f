-- What expressions of flow files may rely on, for this transaction.
set local search_path = pg_catalog, pg_temp;
set local standard_conforming_strings = on
