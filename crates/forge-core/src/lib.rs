//! Model and traits for talking to Git forges: no HTTP, no runtime, no forge's particulars
