//! Everything is tested through the public interface.
