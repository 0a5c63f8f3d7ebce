//! Python's unittest, and tracebacks of any Python program.
//!
//! **What:** `FAIL:` and `ERROR:` blocks and the exception that ends a traceback.
//! **Why:** the last line of a traceback is the exception; the frames above say where it came from.
//! **What to do:** run `python -m unittest NAME`; read the deepest frame in your own code.

use crate::report::Category::{
    Crash, MissingDependency, Network, Oom, ScriptError, TestCollection, TestFailure,
};
use crate::rules::{Role, Rule};

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("unittest.loader", TestCollection, 80, &["_FailedTest"], r"^ERROR: (?P<test>\S+) \(unittest\.loader\._FailedTest(?:\.\S+)?\)$")
        .span(0, 12)
        .tested(&["ERROR: tests.test_till (unittest.loader._FailedTest)"], &["ERROR: x"]),
    Rule::cause("unittest.failed", TestFailure, 76, &["FAIL: ", "ERROR: "], r"^(?:FAIL|ERROR): (?P<test>(?:test\w*|setUpClass|setUpModule)[\w.]* \([\w.]+\))")
        .span(0, 10)
        .tested(&["FAIL: test_add (tests.test_calc.CalcTest)", "ERROR: setUpClass (tests.a.B)"], &["ERROR: could not open", "FAIL: x"]),
    Rule::cause("python.memory", Oom, 78, &["MemoryError"], r"^(?:numpy\.\S*)?(?:_Array)?MemoryError\b")
        .span(4, 0)
        .tested(&["MemoryError", "numpy.core._exceptions._ArrayMemoryError: Unable to allocate 3 GiB"], &["a MemoryError may occur"]),
    Rule::cause("python.import", MissingDependency, 66, &["ModuleNotFoundError", "ImportError"], r"^(?P<message>ModuleNotFoundError: No module named '(?P<package>[^']+)'|ImportError: .+)")
        .span(4, 0)
        .tested(&["ModuleNotFoundError: No module named 'x'", "ImportError: cannot import name 'a' from 'b'"], &["    except ImportError: pass"]),
    Rule::cause("python.connection", Network, 66, &["ConnectionRefusedError", "ConnectionResetError", "ConnectionError", "NewConnectionError", "MaxRetryError", "socket.gaierror", "socket.timeout", "ReadTimeout", "ConnectTimeout"], r"^(?:[\w.]+\.)?(?:ConnectionRefusedError|ConnectionResetError|ConnectionError|NewConnectionError|MaxRetryError|gaierror|ReadTimeout|ConnectTimeout|ReadTimeoutError)\b.*")
        .span(3, 0)
        .tested(&["ConnectionRefusedError: [Errno 111] Connection refused", "requests.exceptions.ConnectionError: HTTPSConnectionPool"], &["retry on ConnectionError"]),
    Rule::cause("python.syntax", TestCollection, 64, &["SyntaxError", "IndentationError", "TabError"], r"^(?:SyntaxError|IndentationError|TabError): .+")
        .span(4, 0)
        .tested(&["SyntaxError: expected ':'"], &["  SyntaxError: x"]),
    Rule::cause("python.exception", ScriptError, 54, &["Error", "Exception", "Interrupt"], r"^(?P<message>(?:[A-Za-z_][\w]*\.)*[A-Z]\w*(?:Error|Exception|Exit|Invalid|Interrupt)(?:: .*)?)$")
        .span(4, 1)
        .tested(&["ValueError: invalid literal for int()", "subprocess.CalledProcessError: Command '['x']' returned non-zero exit status 1.", "shop.errors.PriceInvalid: price below zero"], &["Error: x is bad", "no Exception here"]),
    Rule::cause("python.fatal", Crash, 84, &["Fatal Python error"], r"^Fatal Python error: (?P<message>.*)")
        .span(0, 6)
        .tested(&["Fatal Python error: Segmentation fault"], &["a Fatal Python error"]),
    Rule::of(Role::Summary, "unittest.summary", TestFailure, &["FAILED ("], r"^FAILED \((?:failures|errors|unexpected successes)=\d+")
        .tested(&["FAILED (failures=1, errors=2)"], &["FAILED (skipped)"]),
    Rule::detail("python.traceback", ScriptError, 20, &["Traceback (most recent call last)"], r"^\s*Traceback \(most recent call last\):$")
        .span(0, 6)
        .tested(&["Traceback (most recent call last):"], &[]),
];
