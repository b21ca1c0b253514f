-- Records that a worker stopped. If the engine has no column for that, the worker's rows stay with their last heartbeat.
update pgflow.workers w set :column = clock_timestamp() where w.worker_id = any (:ids)
