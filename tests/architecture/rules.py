"""What a machine can judge of the house style: a rule yields (line, what is wrong) for a module's syntax."""

import ast
import re
from collections.abc import Callable, Iterator

Found = Iterator[tuple[int, str]]
Rule = Callable[[ast.Module], Found]

FUNCTION_LINES = 40
FILE_LINES = 400
APP_LINES = 100

CLOCKS = {
    ("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"),
    ("time", "time"), ("time", "time_ns"), ("time", "monotonic"), ("time", "perf_counter"),
    ("uuid", "uuid1"), ("uuid", "uuid4"), ("os", "urandom"),
}  # fmt: skip
RANDOM_MODULES = {"random", "secrets"}
RANDOM_NAMES = {"uuid1", "uuid4", "urandom", "new_key", "new_keys", "nonces"}
INPUT_OUTPUT = {
    "aiohttp", "aiokafka", "asyncio", "asyncpg", "fastapi", "faststream", "httpx", "logging", "os", "pathlib",
    "pydantic_settings", "shutil", "socket", "sqlite3", "starlette", "subprocess", "tempfile", "typer",
    "uvicorn",
}  # fmt: skip
PURE_POSTBOX = {"postbox.errors", "postbox.message"}
PERSONAL = {
    "account", "account_number", "address", "birth_date", "card", "card_number", "condition", "conditions",
    "equity_card", "member", "members", "name_km", "name_latin", "national_id", "payee", "pay_to", "person",
    "persons", "phone", "phones", "plain", "recipient", "village",
}  # fmt: skip
SQL = re.compile(
    r"\s*(select\s|insert\s+into\s|update\s+\w+\s+set\s|delete\s+from\s|with\s+\w+\s+as\s*\(|truncate\s|lock\s+table\s"
    r"|create\s+(table|index)|alter\s+table|copy\s+\w+\s+(from|to))"
)
DATABASE_CALLS = {"fetch", "fetchrow", "fetchval", "executemany", "copy_records_to_table", "execute"}
ABBREVIATIONS = re.compile(r"(^|_)(hh|pmt|mgr|util|utils|helper|helpers|common|misc|cfg)(_|$)", re.I)


def long_functions(module: ast.Module) -> Found:
    """A function fits on a screen."""
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield node.lineno, f"{node.name} has {lines} lines, {FUNCTION_LINES} are allowed"


def abbreviations(module: ast.Module) -> Found:
    """Domain words are written in full, and nothing is called util, helper or common."""
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        elif isinstance(node, ast.arg):
            name = node.arg
        else:
            continue
        if ABBREVIATIONS.search(name):
            yield node.lineno, f"{name}: write the domain's word in full"


def clock_or_chance(module: ast.Module) -> Found:
    """Rules take `now` and ids as arguments; only the edge asks a clock or makes something random."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names if alias.name in RANDOM_MODULES]
        elif isinstance(node, ast.ImportFrom):
            whole = node.module in RANDOM_MODULES
            named = [alias.name for alias in node.names if whole or alias.name in RANDOM_NAMES]
        elif isinstance(node, ast.Attribute):
            owner = (
                node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            )
            named = [f"{owner}.{node.attr}"] if (owner, node.attr) in CLOCKS else []
        else:
            continue
        for name in named:
            yield node.lineno, f"{name}: pass it in from the edge"


def input_or_output(module: ast.Module) -> Found:
    """A pure module imports nothing that reads or writes, and of postbox only shapes and errors."""
    for line, name in _imported(module):
        ours = name.split(".")[0] == "postbox" and name not in PURE_POSTBOX
        if ours or name.split(".")[0] in INPUT_OUTPUT:
            yield line, f"imports {name}"
    for node in ast.walk(module):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"open", "print"}
        ):
            yield node.lineno, f"calls {node.func.id}"


def settings(module: ast.Module) -> Found:
    """Settings are read in `app.py` alone."""
    for line, name in _imported(module):
        if name.split(".")[0] in {"pydantic_settings", "dotenv"}:
            yield line, f"imports {name}"
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv", "environb"}:
            yield node.lineno, f"reads os.{node.attr}"
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            yield from (
                (node.lineno, f"imports os.{a.name}") for a in node.names if a.name in {"environ", "getenv"}
            )


def sql(module: ast.Module) -> Found:
    """SQL stands in `store.py`, in the functions that run it."""
    docstrings = {id(node.value) for node in ast.walk(module) if isinstance(node, ast.Expr)}
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            if SQL.match(node.value):
                yield node.lineno, "holds SQL"
        elif isinstance(node, ast.Attribute) and node.attr in DATABASE_CALLS:
            yield node.lineno, f"calls the database: .{node.attr}(…)"


def personal_data_told(module: ast.Module) -> Found:
    """No person's field goes into a log, a span, a metric or a parking reason."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and _tells(node.func):
            for word in sorted(set(_words(node)) & PERSONAL):
                yield node.lineno, f"tells {word}"


def validation_errors_told(module: ast.Module) -> Found:
    """The text of a pydantic `ValidationError` holds the input: use its locations and types."""
    for handler in ast.walk(module):
        if not isinstance(handler, ast.ExceptHandler) or handler.type is None or handler.name is None:
            continue
        if "ValidationError" not in ast.unparse(handler.type):
            continue
        for node in ast.walk(handler):
            if isinstance(node, ast.expr) and _shows(node, handler.name):
                yield node.lineno, "shows a ValidationError's text, which holds the input"


def any_used(module: ast.Module) -> Found:
    """`Any` switches the type checker off."""
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and node.module == "typing":
            if any(alias.name == "Any" for alias in node.names):
                yield node.lineno, "imports Any"
        elif isinstance(node, ast.Attribute) and node.attr == "Any" and ast.unparse(node) == "typing.Any":
            yield node.lineno, "uses typing.Any"


def sleeps(module: ast.Module) -> Found:
    """A test waits on a condition; only a `while` loop, or what is called `wait…` or `until…`, may pause."""
    waiting: set[int] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.While) or (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and re.match("_?(wait|until)", node.name)
        ):
            waiting |= {id(inner) for inner in ast.walk(node)}
    for node in ast.walk(module):
        if not isinstance(node, ast.Call) or id(node) in waiting:
            continue
        if ast.unparse(node.func) in {"time.sleep", "asyncio.sleep", "sleep"}:
            yield node.lineno, "sleeps"


def fakes(module: ast.Module) -> Found:
    """There is no in-memory broker or store."""
    for line, name in _imported(module):
        if re.search(r"TestKafka|TestBroker|fakeredis|fake_?kafka|mockafka|pgmock|unittest\.mock", name):
            yield line, f"imports {name}"


def _imported(module: ast.Module) -> Found:
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                is_module = node.module == "postbox" or alias.name.startswith("Test")
                yield node.lineno, whole if is_module else node.module


def _tells(called: ast.expr) -> bool:
    if isinstance(called, ast.Name):
        return called.id in {"Park", "Wait"}
    if not isinstance(called, ast.Attribute):
        return False
    if called.attr in {"set_attribute", "set_attributes", "add_event", "labels", "set_status"}:
        return True
    levels = {"debug", "info", "warning", "error", "exception", "critical", "log", "bind"}
    owner = ast.unparse(called.value).split(".")[-1].split("(")[0]
    return called.attr in levels and owner in {"log", "logger", "_log", "logging", "_logger"}


def _words(call: ast.Call) -> Iterator[str]:
    for argument in (*call.args, *call.keywords):
        for node in ast.walk(argument):
            match node:
                case ast.Name(id=word) | ast.Attribute(attr=word) | ast.keyword(arg=str(word)):
                    yield word
                case ast.Subscript(slice=ast.Constant(value=str(word))):
                    yield word
                case ast.Dict(keys=keys):
                    yield from (
                        key.value
                        for key in keys
                        if isinstance(key, ast.Constant) and isinstance(key.value, str)
                    )


def _shows(node: ast.expr, error: str) -> bool:
    match node:
        case (
            ast.FormattedValue(value=ast.Name(id=name))
            | ast.Call(func=ast.Name(id="str" | "repr" | "format"), args=[ast.Name(id=name)])
        ):
            return name == error
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="errors" | "json"), keywords=keywords):
            return name == error and not any(keyword.arg == "include_input" for keyword in keywords)
        case ast.Call(func=ast.Attribute(attr=called), keywords=keywords):
            return called == "exception" or any(keyword.arg == "exc_info" for keyword in keywords)
    return False
