//! Nothing: what is compiled here is the dependencies.
