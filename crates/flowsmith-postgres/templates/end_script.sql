-- Restores the settings from before this script.
do $settings$
begin
{% include "check_script.sql" %}
  perform set_config(setting.key, setting.value, true)
  from json_each_text(current_setting('flowsmith.settings_before')::json) setting;
  perform set_config('flowsmith.settings_before', '', true);
end
$settings$;
