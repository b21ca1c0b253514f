//! Attacks, one module for each attacker or subject: nobody runs code with the rights of another role.

mod repository;
