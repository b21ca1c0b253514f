//! Attacks, one module for each attacker or subject: nobody runs code with the rights of another role.

mod deployer;
mod edges;
mod edited_migration;
mod hostile_public;
mod looking;
mod migration_head;
mod printed_script;
mod settings;
