"""The LDAP directory, which VARVE_LDAP_URL, VARVE_LDAP_BASE and the search account's VARVE_LDAP_DN and VARVE_LDAP_SECRET say."""

import os

from harborapi.exceptions import NotFound
from harborapi.models import Configurations, LdapConf


async def run(registries):
    admin = registries.administrator
    account = {"ldap_url": os.environ["VARVE_LDAP_URL"], "ldap_search_dn": os.environ["VARVE_LDAP_DN"], "ldap_search_password": os.environ["VARVE_LDAP_SECRET"]}
    place = {"ldap_base_dn": os.environ["VARVE_LDAP_BASE"], "ldap_uid": "uid", "ldap_scope": 2}
    tried = await admin.call("ping_ldap", LdapConf(**account, **place, ldap_connection_timeout=5))
    assert (tried.success, tried.message) == (True, "")
    tried = await admin.call("ping_ldap", LdapConf(**{**account, "ldap_search_password": "wrong"}, **place))
    assert not tried.success and "search account" in tried.message

    await admin.call("update_config", Configurations(**account, **place, ldap_group_base_dn=os.environ["VARVE_LDAP_BASE"], auth_mode="ldap_auth"))
    assert (await admin.call("ping_ldap")).success
    assert [(each.username, each.email) for each in await admin.call("search_ldap_users", "py-")] == [("py-carl", "carl@example.test")]
    [group] = await admin.call("search_ldap_groups", group_name="py-")
    assert (group.group_name, group.group_type) == ("py-people", 1)
    assert [each.group_name for each in await admin.call("search_ldap_groups", group_dn=group.ldap_group_dn)] == ["py-people"]
    await admin.call("import_ldap_users", ["py-carl"])
    assert (await admin.call("get_user_by_username", "py-carl")).email == "carl@example.test"
    try:
        await admin.call("import_ldap_users", ["py-nobody"])
        raise AssertionError("nobody was imported")
    except NotFound:
        pass
