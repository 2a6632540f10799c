"""The section "Captions" of the report.

`section` what it shows; `cards` one record's captions; `tables` what is counted; `sharing` who wrote how
much; `costs` what the models used.
"""

from thresher.pipelines.report.captions.section import CaptionsSection, Found

__all__ = ["CaptionsSection", "Found"]
