"""Users, groups, robots and what can be given to them."""

import os

from harborapi.exceptions import NotFound
from harborapi.models import Access, Robot, RobotCreate, RobotCreateV1, RobotPermission, UserCreationReq, UserGroup, UserProfile

PASSWORD = "Of-lakes-and-1-river"


async def run(registries):
    await users(registries)
    await groups(registries)
    await robots(registries)
    await robots_of_a_project(registries)


async def users(registries):
    admin = registries.administrator
    where = await admin.call("create_user", UserCreationReq(username="py-ann", email="ann@example.org", realname="Ann", comment="x", password=PASSWORD))
    number = int(where.rsplit("/", 1)[1])
    ann = registries.asked_by("py-ann", PASSWORD)

    user = await admin.call("get_user", number)
    assert (user.username, user.email, user.realname, user.sysadmin_flag) == ("py-ann", "ann@example.org", "Ann", False)
    assert user.creation_time is not None
    assert [each.user_id for each in await admin.call("get_users", query="username=~py-an", sort="-username", page_size=1)] == [number]
    assert [each.user_id for each in await ann.call("search_users_by_username", "PY-AN")] == [number]
    assert (await ann.call("get_current_user")).user_id == number
    assert (await admin.call("get_user_by_username", "py-ann")).user_id == number

    await ann.call("update_user", number, UserProfile(email="ann@example.com", realname="Ann B", comment=""))
    assert (await admin.call("get_user", number)).realname == "Ann B"
    await admin.call("set_user_admin", number, True)
    assert len(await ann.call("get_current_user_permissions", scope="/system", relative=True)) > 10
    permissions = await ann.call("get_permissions")
    assert any(each.resource == "user" for each in permissions.system) and any(each.action == "push" for each in permissions.project)
    await admin.call("set_user_admin", number, False)
    await ann.call("set_user_password", number, "Another-1-of-these", old_password=PASSWORD)
    assert (await registries.asked_by("py-ann", "Another-1-of-these").call("get_current_user")).user_id == number

    of_provider = int(os.environ["VARVE_OIDC_USER"])
    await admin.call("set_user_cli_secret", of_provider, "Given-for-tests-1")
    assert (await registries.asked_by(os.environ["VARVE_OIDC_NAME"], "Given-for-tests-1").call("get_current_user")).oidc_user_meta is not None

    for count in range(3):
        await admin.call("create_user", UserCreationReq(username=f"py-page{count}", email=f"page{count}@example.org", realname="P", password=PASSWORD))
    assert len(await admin.call("get_users", query="username=~py-page", page_size=1)) == 3, "the client follows Link"
    await admin.call("delete_user", number)
    try:
        await admin.call("get_user", number)
        raise AssertionError("a deleted user is there")
    except NotFound:
        pass


async def groups(registries):
    admin = registries.administrator
    where = await admin.call("create_usergroup", UserGroup(group_name="py-devs", group_type=1, ldap_group_dn="cn=py,dc=example,dc=org"))
    number = int(where.rsplit("/", 1)[1])
    group = await admin.call("get_usergroup", number)
    assert (group.id, group.group_name, group.group_type, group.ldap_group_dn) == (number, "py-devs", 1, "cn=py,dc=example,dc=org")
    await admin.call("update_usergroup", number, UserGroup(group_name="py-ops"))
    assert [each.id for each in await admin.call("get_usergroups", group_name="py-ops")] == [number]
    assert [each.group_name for each in await admin.call("search_usergroups", "py-")] == ["py-ops"]
    await admin.call("delete_usergroup", number)
    assert await admin.call("get_usergroups", group_name="py-") == []


def pull_and_push(namespace):
    access = [Access(resource="repository", action=action, effect="allow") for action in ("pull", "push")]
    return RobotPermission(kind="project", namespace=namespace, access=access)


async def robots(registries):
    admin = registries.administrator
    system = await admin.call("create_robot", RobotCreate(name="py-system", level="system", duration=7, permissions=[pull_and_push("*")]))
    assert system.name == "robot$py-system" and len(system.secret) >= 8 and system.expires_at > 0
    robot = await admin.call("get_robot", system.id)
    assert (robot.level, robot.duration, robot.editable, robot.disable, robot.secret) == ("system", 7, True, False, None)
    assert [each.action for each in robot.permissions[0].access] == ["pull", "push"]

    changed = Robot(**{**robot.model_dump(), "description": "changed", "disable": True, "duration": -1})
    await admin.call("update_robot", system.id, changed)
    robot = await admin.call("get_robot", system.id)
    assert (robot.description, robot.disable, robot.duration, robot.expires_at) == ("changed", True, -1, -1)
    assert (await admin.call("refresh_robot_secret", system.id, "")).secret != system.secret
    assert (await admin.call("refresh_robot_secret", system.id, "Given-for-tests-1")).secret in (None, "")
    assert system.id in [each.id for each in await admin.call("get_robots", query="Level=system")]

    own = await admin.call("create_robot", RobotCreate(name="py-own", level="project", duration=-1, permissions=[pull_and_push("library")]))
    assert own.name == "robot$library+py-own"
    listed = await admin.call("get_robots", query="Level=project,ProjectID=1", sort="name", page_size=1)
    assert own.id in [each.id for each in listed]
    for number in (system.id, own.id):
        await admin.call("delete_robot", number)


async def robots_of_a_project(registries):
    admin = registries.administrator
    access = [Access(resource="/project/1/repository", action="pull", effect="allow")]
    created = await admin.call("create_robot_v1", "library", RobotCreateV1(name="py-old", description="x", expires_at=-1, access=access))
    robot = await admin.call("get_robot_v1", "library", created.id)
    assert robot.permissions[0].namespace == "library"
    assert created.id in [each.id for each in await admin.call("get_robots_v1", 1)]
    await admin.call("update_robot_v1", "library", created.id, Robot(disable=True, description="stopped"))
    assert (await admin.call("get_robot_v1", 1, created.id)).disable is True
    await admin.call("delete_robot_v1", "library", created.id)
