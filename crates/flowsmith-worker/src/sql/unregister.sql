-- Records the end of a worker. Engines without the column stopped_at record a last heartbeat instead.
update pgflow.workers w set :column = clock_timestamp() where w.worker_id = any (:ids)
