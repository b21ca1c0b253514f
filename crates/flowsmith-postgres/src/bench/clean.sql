-- Deletes a flow with all that it ever ran, for engines that have no function for it. One statement: foreign keys are
-- looked at when it ends.
with
run as (select r.run_id from pgflow.runs r where r.flow_slug = $1),
task as (delete from pgflow.step_tasks t using run where t.run_id = run.run_id),
state as (delete from pgflow.step_states s using run where s.run_id = run.run_id),
runs as (delete from pgflow.runs r where r.flow_slug = $1),
dep as (delete from pgflow.deps d where d.flow_slug = $1),
step as (delete from pgflow.steps s where s.flow_slug = $1)
delete from pgflow.flows f where f.flow_slug = $1
