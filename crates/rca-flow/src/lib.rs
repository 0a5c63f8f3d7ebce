//! The use cases over dyn Provider: connect, discover, monitor, receive, analyse, say it
