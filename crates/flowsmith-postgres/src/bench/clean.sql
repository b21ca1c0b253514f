-- Deletes a flow ($1) with all its runs, for engines without a function for that. It is one statement, because foreign
-- keys are checked at its end.
with
deleted_run as (select r.run_id from pgflow.runs r where r.flow_slug = $1),
task as (delete from pgflow.step_tasks t using deleted_run where t.run_id = deleted_run.run_id),
step_state as (delete from pgflow.step_states s using deleted_run where s.run_id = deleted_run.run_id),
run as (delete from pgflow.runs r where r.flow_slug = $1),
dependency as (delete from pgflow.deps d where d.flow_slug = $1),
step as (delete from pgflow.steps s where s.flow_slug = $1)
delete from pgflow.flows f where f.flow_slug = $1
