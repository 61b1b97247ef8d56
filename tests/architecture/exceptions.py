"""Every exception from a rule, with its reason, in one table. A test fails when one is needed no more."""

EXCEPTIONS: dict[tuple[str, str], str] = {
    ("any_used", "postbox/callers.py"): "FastAPI types a dependency's coroutine with Any",
    ("any_used", "postbox/message.py"): "the loop carries events of every contract, and knows none",
    ("any_used", "services/eligibility/cli.py"): "reads the API's JSON, which has no type on this side",
    ("any_used", "services/registration/cli.py"): "reads the API's JSON, which has no type on this side",
    ("any_used", "services/registration/readers.py"): "pyarrow's stubs are generic in what a column holds",
    (
        "clock_or_chance",
        "services/registration/events.py",
    ): "a new data key is random; there is no seed to pass in",
    ("clock_or_chance", "services/registration/importing.py"): "the import job: an edge, like jobs.py",
    ("clock_or_chance", "services/registration/registering.py"): "person ids are opaque, so they are random",
    ("input_or_output", "contracts/flow.py"): "a command: it writes the flow into a page",
    ("input_or_output", "contracts/release.py"): "a command: it reads and writes the released schemas",
    ("input_or_output", "services/eligibility/vocabulary.py"): "a command: it writes the page of facts",
    ("input_or_output", "services/notifications/sending.py"): "the sending job: an edge, like jobs.py",
    ("input_or_output", "services/registration/desk.py"): "what every request of the API shares",
    ("input_or_output", "services/registration/importing.py"): "the import job: an edge, like jobs.py",
    ("input_or_output", "services/registration/office.py"): "names the folder that uploads wait in",
    ("input_or_output", "services/registration/readers.py"): "reads uploaded files row by row",
    ("input_or_output", "services/registration/registering.py"): "the transaction that API and import share",
    ("settings", "postbox/service.py"): "the base that each service's app.py extends",
    ("sleeps", "tests/faults/disturbances.py"): "how long a process is stopped is the fault itself",
    ("sleeps", "tests/faults/run.py"): "the pauses of the schedule are drawn from its seed",
    (
        "sleeps",
        "tests/faults/test_postbox_under_faults.py",
    ): "how long a process is stopped is the fault itself",
    ("sleeps", "tests/integration/notifications/test_kannel_client.py"): "a late answer is what is tested",
    ("validation_errors_told", "services/notifications/wording.py"): "a template file holds no person's data",
}
