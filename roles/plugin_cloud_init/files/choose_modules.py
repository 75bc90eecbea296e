# SPDX-License-Identifier: GPL-3.0-or-later
# Runs inside the image, with the image's own Python: lists in cloud.cfg can only be replaced whole, so the whole lists
# are written anew, from the package's own, without what is disabled and with what is enabled at its position.
import json
import sys

import yaml

STAGES = ("cloud_init_modules", "cloud_config_modules", "cloud_final_modules")
choice = json.loads(sys.argv[1])
with open("/etc/cloud/cloud.cfg") as text:
    stages = {stage: yaml.safe_load(text.seek(0) or text).get(stage) or [] for stage in STAGES}


def name(module):
    """A module is a name, or a list of a name and a frequency; dashes and underscores are one."""
    return (module[0] if isinstance(module, list) else module).replace("-", "_")


known = {name(module) for modules in stages.values() for module in modules}
unwanted = {module.replace("-", "_") for module in choice["disable"]}
if missing := sorted(unwanted - known):
    sys.exit(f"cloud-init has no module {', '.join(missing)}; it has {', '.join(sorted(known))}")
for stage in STAGES:
    modules = [module for module in stages[stage] if name(module) not in unwanted]
    for wish in choice["enable"].get(stage) or []:
        modules.insert(wish["position"], wish["module"])
    stages[stage] = modules
with open("/etc/cloud/cloud.cfg.d/20_debfleet_modules.cfg", "w") as text:
    yaml.safe_dump(stages, text)
