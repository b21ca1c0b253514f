{#- Returns for each run the ids before and after it in the order of ids, by the primary key. A prefix of an id that differs
    from both is unique. -#}
select given.run_id,
  (select r.run_id from pgflow.runs r where r.run_id < given.run_id order by r.run_id desc limit 1) as before,
  (select r.run_id from pgflow.runs r where r.run_id > given.run_id order by r.run_id limit 1) as behind
from unnest({{ run_ids | array }}::uuid[]) given (run_id)
