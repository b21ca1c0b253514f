-- Runs of the flows named in $1: started ones and all.
select flow_slug, count(*) filter (where status = 'started'), count(*)
from pgflow.runs where flow_slug = any ($1) group by flow_slug
