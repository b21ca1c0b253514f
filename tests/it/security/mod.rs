//! Attacks, one module for each attacker or subject: nobody runs code with the rights of another role.

mod deployer;
mod edited_migration;
mod looking;
mod migration_head;
