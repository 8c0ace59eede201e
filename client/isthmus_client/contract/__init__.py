"""The contract of a platform's data: a `platform.toml` says what lies where and means what."""
