-- Fixes the settings that decide what names and literals mean, for the rest of this script. The script must run in one
-- transaction; the settings return at its end, because other statements may follow in the same transaction.
do $settings$
begin
  perform pg_catalog.set_config('flowsmith.settings_before', pg_catalog.json_build_object(
    'search_path', pg_catalog.current_setting('search_path'),
    'standard_conforming_strings', pg_catalog.current_setting('standard_conforming_strings'),
    'quote_all_identifiers', pg_catalog.current_setting('quote_all_identifiers'),
    'transform_null_equals', pg_catalog.current_setting('transform_null_equals'),
    'row_security', pg_catalog.current_setting('row_security'),
    'check_function_bodies', pg_catalog.current_setting('check_function_bodies'),
    'plpgsql.extra_errors', pg_catalog.current_setting('plpgsql.extra_errors'))::pg_catalog.text, true);
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true),
    pg_catalog.set_config('standard_conforming_strings', 'on', true),
    pg_catalog.set_config('quote_all_identifiers', 'off', true),
    pg_catalog.set_config('transform_null_equals', 'off', true),
    pg_catalog.set_config('row_security', 'on', true),
    pg_catalog.set_config('check_function_bodies', 'on', true),
    pg_catalog.set_config('plpgsql.extra_errors', 'none', true);
end
$settings$;
