"""What a composition is to be made of: its sources, its layout, its form. Pure."""

from .layout import Region, parse_layout
from .plan import CompositionPlan
from .sources import SourceFacts, select_sources

__all__ = ["CompositionPlan", "Region", "SourceFacts", "parse_layout", "select_sources"]
