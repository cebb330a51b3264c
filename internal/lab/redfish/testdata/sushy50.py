"""Fifty calls in one session of a stock Redfish client."""
import sys

import sushy
from sushy import auth

url, mode = sys.argv[1:3]
login = {
    "basic": lambda: auth.BasicAuth("lab", "secret"),
    "session": lambda: auth.SessionAuth("lab", "secret"),
    "either": lambda: auth.SessionOrBasicAuth("lab", "secret"),
    "none": lambda: None,
}[mode]()
root = sushy.Sushy(url + "/redfish/v1", auth=login)
system = root.get_system("/redfish/v1/Systems/m1")
for i in range(23):
    once = i % 2 == 0
    system.set_system_boot_options(
        target=sushy.BootSource.PXE,
        enabled=sushy.BootSourceOverrideEnabled.ONCE if once else sushy.BootSourceOverrideEnabled.CONTINUOUS)
    system.refresh(force=True)
    want = sushy.BootSourceOverrideEnabled.ONCE if once else sushy.BootSourceOverrideEnabled.CONTINUOUS
    assert system.boot.enabled == want, (i, system.boot)
system.set_system_boot_options(target=sushy.BootSource.PXE, enabled=sushy.BootSourceOverrideEnabled.CONTINUOUS)
states = []
for reset in (sushy.ResetType.ON, sushy.ResetType.FORCE_OFF):
    system.reset_system(reset)
    system.refresh(force=True)
    states.append(system.power_state.value)
macs = [n.mac_address.lower() for n in system.ethernet_interfaces.get_members()]
print(*states, *macs, system.managers[0].identity, root.get_chassis_collection().get_members()[0].identity)
