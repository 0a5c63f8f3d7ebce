//! C and C++ compilers, linkers, make, CMake, autoconf and sanitizers.
//!
//! **What:** the first `error:` with its place, undefined references, missing headers and libraries.
//! **Why:** `make: *** Error 1` only passes on what the compiler said above it.
//! **What to do:** fix the first error; for headers and libraries install the development package.

use crate::report::Category::{
    CompileError, ConfigError, Crash, LinkError, MissingDependency, MissingFile, ToolchainVersion,
};
use crate::rules::{Role, Rule};

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("cc.missing_header", CompileError, 84, &["fatal error:"], r"^(?P<file>[^\s:]+):(?P<line>\d+):(?:(?P<column>\d+):)? fatal error: (?P<message>.+)")
        .span(0, 3)
        .tested(&["till.c:1:10: fatal error: purse.h: No such file or directory"], &["fatal error: x"]),
    Rule::cause("cc.error", CompileError, 82, &[": error: "], r"^(?P<file>(?:[A-Za-z]:)?[^\s:()]+):(?P<line>\d+):(?:(?P<column>\d+):)? (?:internal compiler )?error: (?P<message>.+)")
        .span(1, 4)
        .tested(&["till.c:8:3: error: expected ';' before 'return'", "/b/src/Till.java:17: error: incompatible types: String cannot be converted to int"], &["main.c:3:5: warning: unused variable", "error: x"]),
    Rule::cause("cc.msvc", CompileError, 82, &["error C", "error LNK", "error CS", "error MSB", "error FS", "error BC", "error NU", "error NETSDK"], r"^\s*(?:\d+>)?(?P<file>[^()\n]*?)(?:\((?P<line>\d+)(?:,(?P<column>\d+))?(?:,\d+,\d+)?\))?\s*: (?:fatal )?error (?P<message>(?:C|CS|FS|BC|MSB|LNK|NETSDK|NU)\d{3,5}: .+)")
        .span(0, 2)
        .tested(&["src\\a.cpp(12): error C2065: 'x': undeclared identifier", "src/Till.cs(7,12): error CS0246: The type or namespace name 'Purse' could not be found"], &["warning CS0103: x"]),
    Rule::cause("ld.undefined", LinkError, 84, &["undefined reference to", "undefined symbol", "Undefined symbols for architecture"], r"(?:undefined reference to [`']|(?:ld(?:\.lld)?|lld): error: undefined symbol|^Undefined symbols for architecture)")
        .span(1, 3)
        .tested(&["till.c:(.text+0x1f): undefined reference to `purse_open'", "ld.lld: error: undefined symbol: foo"], &["an undefined reference"]),
    Rule::cause("ld.missing_library", LinkError, 84, &["cannot find -l", "library not found for", "unable to find library"], r"(?:cannot find -l(?P<package>\S+)|library not found for -l|unable to find library -l)")
        .span(0, 1)
        .tested(&["/usr/bin/ld: cannot find -lpurse"], &["cannot find"]),
    Rule::cause("ld.multiple", LinkError, 80, &["multiple definition of", "duplicate symbol"], r"(?:multiple definition of [`']|duplicate symbol)")
        .span(0, 2)
        .tested(&["a.o: multiple definition of `x'"], &["multiple definitions"]),
    Rule::cause("ld.shared", MissingDependency, 82, &["error while loading shared libraries", "cannot open shared object file"], r"(?:error while loading shared libraries: (?P<package>[^:\s]+)|: cannot open shared object file)")
        .span(0, 1)
        .tested(&["./app: error while loading shared libraries: libx.so.2: cannot open shared object file: No such file or directory"], &["loading shared libraries"]),
    Rule::cause("cmake.error", ConfigError, 78, &["CMake Error"], r"^CMake Error(?: at (?P<file>[^:\s]+):(?P<line>\d+))?")
        .span(0, 6)
        .tested(&["CMake Error at CMakeLists.txt:12 (find_package):", "CMake Error: The source directory does not exist"], &["CMake Warning at x"]),
    Rule::cause("autoconf.error", ConfigError, 78, &["configure: error:"], r"configure: error: (?P<message>.+)")
        .span(0, 3)
        .tested(&["configure: error: no acceptable C compiler found in $PATH"], &["configure: warning: x"]),
    Rule::cause("make.no_rule", MissingFile, 76, &["No rule to make target"], r"\*\*\* No rule to make target")
        .tested(&["make: *** No rule to make target 'all'.  Stop."], &["No rule to make target"]),
    Rule::cause("make.missing_separator", ConfigError, 80, &["*** missing separator"], r"^\S+:\d+: \*\*\* missing separator")
        .tested(&["Makefile:3: *** missing separator.  Stop."], &["missing separator"]),
    Rule::cause("sanitizer.report", Crash, 88, &["Sanitizer: ", "runtime error: "], r"(?:ERROR: (?:Address|Leak|Memory|Thread|HWAddress)Sanitizer: |WARNING: (?:Thread|Memory)Sanitizer: |:\d+:\d+: runtime error: )")
        .span(0, 6)
        .tested(&["==4242==ERROR: AddressSanitizer: heap-use-after-free on address 0x5", "a.c:3:5: runtime error: signed integer overflow"], &["AddressSanitizer is on"]),
    Rule::cause("process.segfault", Crash, 76, &["Segmentation fault", "SIGSEGV", "Aborted (core dumped)", "Bus error", "Illegal instruction", "SIGABRT"], r"(?i)(?:\bsegmentation fault\b|\bAborted \(core dumped\)|\bbus error\b.*core|illegal instruction \(core|(?:signal|terminated by|received) (?:11|6)?[^a-z]*SIG(?:SEGV|ABRT|BUS|ILL))")
        .span(1, 1)
        .tested(&["Segmentation fault (core dumped)", "Process terminated by signal SIGSEGV", "Aborted (core dumped)"], &["handles SIGSEGV"]),
    Rule::cause("cpp.terminate", Crash, 76, &["terminate called after throwing"], r"^terminate called after throwing an instance of")
        .span(0, 2)
        .tested(&["terminate called after throwing an instance of 'std::runtime_error'"], &["terminate called"]),
    Rule::cause("cc.unsupported_option", ToolchainVersion, 70, &["unrecognized command line option", "unknown argument:"], r"error: (?:unrecognized command[- ]line option|unknown argument:)")
        .tested(&["gcc: error: unrecognized command line option '-std=c++29'"], &["unknown argument: x"]),
    Rule::of(Role::Wrapper, "make.wrapper", CompileError, &["] Error ", "ninja: build stopped", "ld returned 1", "linker command failed"], r"^(?:(?:g?make|mingw32-make)(?:\[\d+\])?: \*\*\* .*\] Error \d+|ninja: build stopped|collect2: error: ld returned|clang: error: linker command failed)")
        .tested(&["make: *** [Makefile:7: link] Error 1", "ninja: build stopped: subcommand failed.", "collect2: error: ld returned 1 exit status"], &["make: Nothing to be done"]),
];
