//! Attacks, one module for each attacker or subject: nobody runs code with the rights of another role.

mod foreign_owners;
mod foreign_queues;
mod plain_owner;
mod privileges;
mod tampering;
mod trespassing;
