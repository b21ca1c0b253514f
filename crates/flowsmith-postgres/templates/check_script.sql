  -- Some programs continue after an error, without the settings from the head of this script.
  if coalesce(pg_catalog.current_setting('flowsmith.settings_before', true) operator(pg_catalog.=) '', true) then
    raise exception 'flowsmith: this script does not run in one transaction'
      using errcode = 'no_active_sql_transaction', hint = 'Run it with `psql -X -1 -v ON_ERROR_STOP=1 -f FILE DATABASE`, or between BEGIN and COMMIT.';
  end if;
