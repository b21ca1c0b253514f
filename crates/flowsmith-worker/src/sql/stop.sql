-- A worker has ended: where the engine keeps that, else its rows stay with their last heartbeat.
update pgflow.workers w set :column = clock_timestamp() where w.worker_id = any (:ids)
