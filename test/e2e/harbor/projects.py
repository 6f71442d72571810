"""Projects, their members and metadata, and what is told of the system."""

from harborapi.exceptions import Conflict, NotFound
from harborapi.models import AuditLog, Configurations, ProjectMember, ProjectMetadata, ProjectReq, RoleRequest, UserCreationReq, UserEntity, UserGroup

PASSWORD = "Of-lakes-and-1-river"


async def run(registries):
    await projects(registries)
    await members(registries)
    await logs(registries)
    await metadata(registries)
    await system(registries)


async def projects(registries):
    admin = registries.administrator
    where = await admin.call("create_project", ProjectReq(project_name="py-project", metadata=ProjectMetadata(public="true", auto_scan="false"), storage_limit=-1))
    assert where == "/api/v2.0/projects/py-project", "the client asks for the name in Location"
    number = (await admin.call("get_project", "py-project")).project_id
    assert await admin.call("project_exists", "py-project")
    assert not await admin.call("project_exists", "py-nothing")
    try:
        await admin.call("create_project", ProjectReq(project_name="py-project"))
        raise AssertionError("a project was made twice")
    except Conflict:
        pass

    project = await admin.call("get_project", number)
    assert (project.project_id, project.name, project.owner_name, project.repo_count, project.deleted) == (number, "py-project", "admin", 0, False)
    assert project.current_user_role_ids == [1] and project.creation_time is not None and project.metadata.public == "true"
    for count in range(3):
        await admin.call("create_project", ProjectReq(project_name=f"py-page{count}"))
    assert [each.name for each in await admin.call("get_projects", query="name=~py-page", sort="-name", page_size=1)] == ["py-page2", "py-page1", "py-page0"]
    assert [each.name for each in await admin.call("get_projects", name="py-", public=True, owner="admin")] == ["py-project"]

    await admin.call("update_project", number, ProjectReq(metadata=ProjectMetadata(public="false", severity="low")))
    assert (await admin.call("get_project", number)).metadata.severity == "low"
    summary = await admin.call("get_project_summary", number)
    assert (summary.repo_count, summary.project_admin_count, summary.quota.hard.model_dump()["storage"]) == (0, 1, -1)
    assert (await admin.call("get_project_deletable", number)).deletable
    for count in range(3):
        await admin.call("delete_project", f"py-page{count}")


async def members(registries):
    admin = registries.administrator
    where = await admin.call("create_user", UserCreationReq(username="py-member", email="member@example.org", realname="Member", password=PASSWORD))
    user = int(where.rsplit("/", 1)[1])
    where = await admin.call("add_project_member_user", "py-project", "py-member", 3)
    number = int(where.rsplit("/", 1)[1])
    member = await admin.call("get_project_member", "py-project", number)
    assert (member.id, member.entity_name, member.entity_id, member.entity_type, member.role_name, member.role_id) == (number, "py-member", user, "u", "guest", 3)
    await admin.call("update_project_member_role", "py-project", number, RoleRequest(role_id=2))
    assert [each.role_id for each in await admin.call("get_project_members", "py-project", entity_name="py-member", page_size=1)] == [2]
    assert (await registries.asked_by("py-member", PASSWORD).call("get_project", "py-project")).current_user_role_ids == [2]

    await admin.call("add_project_member_group", "py-project", "cn=py-group,dc=example,dc=org", 5)
    await admin.call("add_project_member", "py-project", ProjectMember(role_id=4, member_group=UserGroup(group_type=3, group_name="py-provided")))
    listed = await admin.call("get_project_members", "py-project")
    assert [(each.entity_name, each.role_name) for each in listed if each.entity_type == "g"] == [("py-group", "limitedGuest"), ("py-provided", "maintainer")]
    try:
        await admin.call("add_project_member", "py-project", ProjectMember(role_id=1, member_user=UserEntity(user_id=user)))
        raise AssertionError("a member was added twice")
    except Conflict:
        pass
    await admin.call("remove_project_member", "py-project", number)


async def logs(registries):
    admin = registries.administrator
    entries = await admin.call("get_project_logs", "py-project", query="operation=create", sort="op_time", page_size=1)
    assert [(each.username, each.resource_type, each.resource) for each in entries][:2] == [("admin", "project", "py-project"), ("admin", "member", "py-project")]
    assert len(entries) == 4, "the client follows Link"
    since = entries[1].op_time.strftime("%Y-%m-%d %H:%M:%S")
    assert entries[-1] in await admin.call("get_project_logs", "py-project", query=f"op_time=[{since}~]")
    assert await admin.call("get_project_logs", "py-project", query="username=py-member") == []
    everything = await admin.call("get_audit_logs", query="resource_type={project user}", sort="-op_time", limit=20)
    assert ("create", "user", "py-member") in [(each.operation, each.resource_type, each.resource) for each in everything]
    # The client has no functions for those in the newer form.
    for path in ("/projects/py-project/auditlog-exts", "/auditlog-exts"):
        extended = await admin.call("get", path, params={"q": "operation_description=~member.role", "page_size": 1})
        assert [(each["operation"], each["operation_result"]) for each in extended] == [("update", True)]
        assert AuditLog(**extended[0]).resource == "py-project"


async def metadata(registries):
    admin = registries.administrator
    assert (await admin.call("get_project_metadata", "py-project")).public == "false"
    await admin.call("set_project_metadata", "py-project", ProjectMetadata(prevent_vul="false"))
    await admin.call("update_project_metadata_entry", "py-project", "severity", {"severity": "high"})
    assert await admin.call("get_project_metadata_entry", "py-project", "severity") == {"severity": "high"}
    await admin.call("delete_project_metadata_entry", "py-project", "severity")
    try:
        await admin.call("get_project_metadata_entry", "py-project", "severity")
        raise AssertionError("what was removed is there")
    except NotFound:
        pass
    await admin.call("delete_project", "py-project")


async def system(registries):
    admin = registries.administrator
    assert await admin.call("ping") == "Pong"
    health = await admin.call("health_check")
    assert (health.status, {each.status for each in health.components}) == ("healthy", {"healthy"})
    info = await admin.call("get_system_info")
    assert (info.auth_mode, info.project_creation_restriction, info.read_only) == ("db_auth", "everyone", False)
    assert info.harbor_version.startswith("v2.14.0-")
    counts = await admin.call("get_statistics")
    assert counts.total_project_count == counts.private_project_count + counts.public_project_count > 0
    [volume] = (await admin.call("get_system_volume_info")).storage
    assert 0 < volume.free < volume.total

    # The client takes whatever is answered for the file.
    assert b"NOT_FOUND" in bytes(await admin.call("get_system_certificate"))

    before = await admin.call("get_config")
    assert (before.auth_mode.value, before.session_timeout.value, before.read_only.editable) == ("db_auth", 60, False)
    await admin.call("update_config", Configurations(session_timeout=30, robot_name_prefix="robot$"))
    assert (await admin.call("get_config")).session_timeout.value == 30
    await admin.call("update_config", Configurations(session_timeout=60))
    internal = await admin.call("get", "/internalconfig")
    assert internal["session_timeout"] == {"value": 60, "editable": True} and not [each for each in internal if "secret" in each or "password" in each]
