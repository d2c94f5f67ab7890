//! Opens what a person names as a feed. Being written.
