"""How a network wants to be fed, found out from its weights and from one volume."""
