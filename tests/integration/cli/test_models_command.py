"""bao models: the models as tables, for machines, and drawn; and where commands find models."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.integration.cli.conftest import SHOP, Project

YAML = """
    models:
      Customer:
        modelPrefix: cu
        fields:
          customerId: {type: UlidField, autoAssign: true}
        primaryKey: {partitionKey: customerId}
"""


def names(bao: Project, *arguments: str) -> list[str]:
    """The names of the models that a command finds."""
    return [model["name"] for model in bao.json("models", *arguments)["models"]]


# --- what is shown ---------------------------------------------------------------------------------


def test_models_are_shown_with_every_way_to_ask_for_them(shop: Project) -> None:
    """One line for each model, then what can be asked and what answers it."""
    result = shop("models")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines == [
        "Model Prefix Key Indexes Unique Iterable Searched",
        "Customer cu customer_id gsi1 by_name (name, created_at) uc1 email 10 buckets name",
        "Order or order_id gsi2 orders_for_customer (customer_id, order_id)",
        "",
        "Asking for Customer By",
        "Customer.find(customer_id) key",
        "Customer.find_by_email(email) uc1",
        "Customer.query_by_name(name) gsi1 by created_at",
        "Customer.iterate_all() iter_index 10 buckets",
        "Customer.search_all(terms) iter_search_index in name",
        "",
        "Asking for Order By",
        "Order.find(order_id) key",
        "Order.query_orders_for_customer(customer_id) gsi2 by order_id",
        "customer.query_orders() gsi2 by order_id",
        "order.customer key the Customer",
    ]


def test_a_named_model_is_shown_with_its_fields(shop: Project) -> None:
    """What each field holds, what it is used for, and what it means."""
    result = shop("models", "Customer")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[:6] == [
        "Customer, prefix cu",
        "Field Kind Used for Stored as Meaning",
        "customer_id ulid key customer_id",
        "name string gsi1 name As it stands on letters.",
        "email string uc1 email",
        "created_at create date gsi1 sort created_at",
    ]
    assert "Order" not in result.stdout
    both = shop("models", "Customer", "Order").stdout
    assert both.startswith(f"{result.stdout}\nOrder, prefix ")


def test_a_model_that_is_not_there_is_told(shop: Project) -> None:
    """A misspelt name is a failure that names the near one."""
    result = shop("models", "Custmer")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: There is no model 'Custmer'. Did you mean 'Customer'?\n"


def test_models_for_machines(shop: Project) -> None:
    """--json has everything: fields, keys, patterns, relations."""
    outline = shop.json("models")
    customer, order = outline["models"]
    assert customer["fields"][1] == {
        "name": "name",
        "kind": "string",
        "optional": False,
        "default": False,
        "attribute": "name",
        "marks": ["gsi1"],
        "target": None,
        "doc": "As it stands on letters.",
    }
    assert order["indexes"] == [
        {"name": "orders_for_customer", "id": "gsi2", "partition": "customer_id", "sort": "order_id"}
    ]
    assert outline["relations"] == [
        {"source": "Order", "field": "customer_id", "target": "Customer", "optional": False, "drawn": True}
    ]


# --- drawn -----------------------------------------------------------------------------------------


def test_diagram_is_text_by_default(shop: Project) -> None:
    """--diagram draws cards in the terminal."""
    drawn = shop("models", "--diagram").stdout
    assert drawn.startswith("╭─ Customer ─")
    assert drawn.endswith("Customer ──< Order.customer_id\n")
    assert drawn == shop("models", "--format", "text").stdout


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (["-o", "out.svg"], "<svg "),
        (["-o", "out.mmd"], "erDiagram\n"),
        (["-o", "out.txt"], "╭─ Customer"),
        (["--format", "svg", "-o", "out.mmd"], "<svg "),
    ],
)
def test_a_drawing_is_written_to_a_file(shop: Project, arguments: list[str], start: str) -> None:
    """-o writes it, in the format that the file's name or --format says."""
    result = shop("models", *arguments)
    assert (result.exit_code, result.stdout) == (0, "")
    path = Path(arguments[-1])
    assert result.stderr == f"Written to {path}.\n"
    assert path.read_text().startswith(start)
    if start == "<svg ":
        ElementTree.fromstring(path.read_text())


def test_a_drawing_that_cannot_be_written_fails(shop: Project) -> None:
    """The file is named."""
    result = shop("models", "-o", "no/such/folder.svg")
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: No such file or directory: no/such/folder.svg\n",
    )


def test_a_drawing_is_not_json(shop: Project) -> None:
    """Both at once is wrong use."""
    result = shop("models", "--diagram", "--json")
    assert result.exit_code == 2
    assert "A drawing is not JSON" in result.stderr


# --- where models are found ------------------------------------------------------------------------


def test_models_of_a_module_a_file_and_a_folder(bao: Project) -> None:
    """--models takes the name of a module, a Python file, a folder of them, a YAML file, and a folder of those."""
    bao.write("app/__init__.py", "")
    bao.write("app/models.py", SHOP)
    assert names(bao, "--models", "app.models") == ["Customer", "Order"]
    assert names(bao, "--models", "app/models.py") == ["Customer", "Order"]
    assert names(bao, "--models", "app") == ["Customer", "Order"]


def test_models_of_yaml(bao: Project) -> None:
    """YAML model files are read as they are, one or a folder of them."""
    bao.write("defs/customer.yaml", YAML)
    assert names(bao, "--models", "defs/customer.yaml") == ["Customer"]
    assert names(bao, "--models", "defs") == ["Customer"]


def test_models_may_be_named_several_times(bao: Project) -> None:
    """--models adds up; what is in two places is one model."""
    first, second = SHOP.split("    class Order")
    bao.write("customers.py", first)
    bao.write("orders.py", f"{first.split('    class Customer')[0]}\n    class Order{second}")
    assert names(bao, "--models", "customers.py", "--models", "orders.py", "--models", "orders") == [
        "Customer",
        "Order",
    ]


def test_models_that_a_package_only_imports_are_its_models(bao: Project) -> None:
    """A package that gathers models from elsewhere names them all."""
    bao.write("inner/shop.py", SHOP)
    bao.write("inner/__init__.py", "")
    bao.write("gathered.py", "from inner.shop import Customer\n")
    assert names(bao, "--models", "gathered") == ["Customer", "Order"]
    again = names(bao, "--models", "gathered")
    assert again == ["Customer"], "the second time nothing new is made, and what the module holds counts"


def test_models_of_the_settings(bao: Project) -> None:
    """Python in models_dir comes before the YAML definitions it is made from; paths start at the settings' folder."""
    text = '[paths]\nmodels_dir = "models"\nmodels_definition_path = "models.yaml"\n'
    bao.write("dynamo_bao.toml", text)
    bao.write("models.yaml", YAML.replace("Customer", "FromYaml"))
    assert names(bao) == ["FromYaml"]
    bao.write("models/shop.py", SHOP)
    assert names(bao) == ["Customer", "Order"]
    bao.write("sub/other.toml", '[paths]\nmodels_definition_path = "defs.yaml"\n')
    bao.write("sub/defs.yaml", YAML.replace("Customer", "Below"))
    assert names(bao, "--config", "sub/other.toml") == ["Below"]


def test_a_file_may_have_the_name_of_a_known_module(bao: Project) -> None:
    """A models.py is read whatever other module of that name was imported before."""
    path = bao.write("json.py", SHOP)
    assert names(bao, "--models", "json.py") == ["Customer", "Order"]
    assert sys.modules["json"].__file__ != str(path)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("nosuch", "There is no module 'nosuch', neither in {folder} nor installed."),
        ("nosuch.models", "There is no module 'nosuch.models', neither in {folder} nor installed."),
        ("nosuch.py", "The models file 'nosuch.py' does not exist."),
        ("nosuch.yaml", "The models file 'nosuch.yaml' does not exist."),
        ("no such", "'no such' is neither a file that exists nor a module's name."),
        ("json", "'json' has no models; name the module or file that has them."),
        ("needs.py", "Models 'needs.py' cannot be imported: ModuleNotFoundError: No module named 'absent'"),
        ("fails.py", "Models 'fails.py' cannot be imported: ZeroDivisionError: division by zero ("),
        ("wrong.py", "Models 'wrong.py' cannot be imported: "),
        ("twice.py", "Bad has no primary key; add primary_key = PrimaryKey"),
    ],
)
def test_models_that_cannot_be_had_are_told(bao: Project, source: str, told: str) -> None:
    """Each wrong source is a failure in one sentence; errors of the user's code come with file and line."""
    bao.write("needs.py", "import absent\n")
    bao.write("fails.py", "x = 1\ny = x / 0\n")
    bao.write("wrong.py", "def (\n")
    bao.write("twice.py", "from dynamo_bao import Model\nclass Bad(Model, prefix='b'):\n    name: str\n")
    result = bao("models", "--models", source)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: {told.format(folder=bao.folder)}")
    assert len(result.stderr.splitlines()) == 1
    if source in ("fails.py", "wrong.py"):
        assert f"{bao.folder / source}, line {2 if source == 'fails.py' else 1})" in result.stderr


@pytest.mark.parametrize(
    "command",
    [["models"], ["count", "Customer"], ["doctor"], ["create-table", "shop"], ["update-table", "shop"]],
    ids=lambda it: it[0],
)
def test_a_folder_of_models_without_modules_is_told(bao: Project, command: list[str]) -> None:
    """Also a file in the place of the folder: the settings do name models, and there are none."""
    bao.write("dynamo_bao.toml", '[db]\ntable_name = "shop"\n[paths]\nmodels_dir = "modles"\n')
    result = bao(*command)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(
        "Error: models_dir of dynamo_bao.toml is 'modles', where no Python module is"
    )


def test_no_models_at_all_is_told_with_the_ways_to_name_them(bao: Project) -> None:
    """A project without settings and options has none."""
    result = bao("models")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: No models are named: give --models app.models (a module)")
