"""rbac: who may call what, by ServiceRoles and ServiceRoleBindings."""

from mizzen.mixer.adapters.rbac.adapter import ADAPTER

__all__ = ["ADAPTER"]
