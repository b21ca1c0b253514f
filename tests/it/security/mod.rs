//! Attacks, one module for each attacker or subject: nobody runs code with the rights of another role.

mod deployer;
mod edges;
mod edited_migration;
mod foreign_owners;
mod foreign_queues;
mod hostile_public;
mod looking;
mod migration_head;
mod plain_owner;
mod printed_script;
mod privileges;
mod repository;
mod settings;
mod tampering;
mod trespassing;
