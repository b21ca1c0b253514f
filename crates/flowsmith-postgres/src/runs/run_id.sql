{#- Returns runs whose id is in a range, by the primary key; at most as many as an error message can list. -#}
select r.run_id from pgflow.runs r
where r.run_id between {{ lowest | literal }}::uuid and {{ highest | literal }}::uuid
order by r.run_id limit 5
