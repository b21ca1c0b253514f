{#- Records who pauses or resumes flow versions, for those whose state this changes. -#}
select flowsmith.record_pause({{ slugs | array }}, {{ is_paused }})
