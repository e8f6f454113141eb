"""The Segment Editor effect GDLA."""
