//! Tests of the fakes, through HTTP and the public interface.
