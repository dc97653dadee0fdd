"""Tool results of the size that real systems return, most of them 2 to 8 KB."""

import json
from random import Random
from typing import Final

from memory.demo.tools import orders, research, service, warehouse
from memory.demo.tools.common import Args, Facts, Tool

_TOOLS: Final[dict[str, Tool]] = {
    "lookup_order": orders.lookup_order,
    "get_invoice": orders.lookup_order,
    "track_parcel": orders.track_parcel,
    "list_orders": orders.list_orders,
    "export_user_data": orders.list_orders,
    "check_stock": orders.check_stock,
    "delivery_slots": orders.delivery_slots,
    "search_help_center": service.search_help_center,
    "get_payment": service.get_payment,
    "check_subscription": service.check_subscription,
    "get_device_log": service.get_device_log,
    "analyze_image": service.analyze_image,
    "quote_price": service.quote_price,
    "run_report": service.run_report,
    "web_search": research.web_search,
    "fetch_page": research.fetch_page,
    "run_sql": warehouse.run_sql,
    "price_history": research.price_history,
    "read_survey": research.read_survey,
    "search_papers": research.search_papers,
    "search_patents": research.search_papers,
    "company_profile": research.company_profile,
    "python": research.python,
}
# the argument that a call carries when the script names none
_KEY_ARGUMENT: Final = {
    "lookup_order": "order",
    "get_invoice": "invoice",
    "reissue_invoice": "invoice",
    "track_parcel": "tracking",
    "get_payment": "order",
    "check_stock": "sku",
    "delivery_slots": "city",
    "validate_coupon": "coupon",
    "company_profile": "company",
    "send_otp": "email",
    "list_orders": "email",
    "check_subscription": "email",
}


def arguments(tool: str, facts: Facts) -> Args:
    """Name the arguments of a call that a script leaves open."""
    fact = _KEY_ARGUMENT.get(tool, "order" if tool not in ("python", "save_note", "rotate_secret") else "")
    if tool in ("run_sql", "web_search", "fetch_page", "price_history", "read_survey"):
        return {"topic": facts.get("topic", "general")}
    return {fact: facts[fact]} if fact else {}


def result(tool: str, facts: Facts, rng: Random, at: float, args: Args) -> str:
    """Return what a tool answered, as the JSON text that the model was given."""
    return json.dumps(_TOOLS.get(tool, service.receipt)(facts, rng, at, args), ensure_ascii=False)
