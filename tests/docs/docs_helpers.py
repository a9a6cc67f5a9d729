"""What the tests of pages share."""

import json


def changed(folder, change):
    """Let `change` alter what a results.json holds."""
    path = folder / "results.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    change(values)
    path.write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")
