{#- Runs whose id lies between two, by the primary key; as many as an error message can name. -#}
select r.run_id from pgflow.runs r
where r.run_id between {{ lowest | literal }}::uuid and {{ highest | literal }}::uuid
order by r.run_id limit 5
