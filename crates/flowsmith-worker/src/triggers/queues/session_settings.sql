-- Sets, for this transaction, the settings on which expressions of flow files rely.
set local search_path = pg_catalog, pg_temp;
set local standard_conforming_strings = on
