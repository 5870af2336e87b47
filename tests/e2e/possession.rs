//! Bound tokens: they are worth nothing to whoever only found them.

mod certificates;
mod keys;
mod life;
mod provider;
