//! Pages through their router.
