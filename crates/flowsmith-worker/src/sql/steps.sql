-- Returns the steps of flows as a worker needs them: the timeout in seconds, whether other steps depend on the step, and
-- whether it has a start delay. A flow without steps has one row.
select f.flow_slug, s.step_slug, coalesce(s.opt_timeout, f.opt_timeout) as timeout,
       exists (select from pgflow.deps d where d.flow_slug = s.flow_slug and d.dep_slug = s.step_slug) as has_dependents,
       coalesce(s.opt_start_delay, 0) > 0 as is_delayed
from pgflow.flows f
left join pgflow.steps s on s.flow_slug = f.flow_slug
where f.flow_slug = any (:flows)
order by f.flow_slug, s.step_index
